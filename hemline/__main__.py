"""`python -m hemline` is `hemline`."""

from hemline.cli import main

main()
