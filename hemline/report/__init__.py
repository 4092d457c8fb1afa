"""What a person reads: Markdown, HTML and pictures, made of records.

    text = markdown(record, title, pictures)            # hemline.report.markdown
    page = html(text)                                   # hemline.report.html
    svg = learning_curves(epochs)                       # hemline.report.charts

Others import anything of it; it imports `config`, `records` and `storage`. A section of the report is a function and
a row of the table in `markdown`. The same record gives the same bytes.
"""
