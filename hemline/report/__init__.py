"""What a person reads: Markdown, HTML and pictures, made of records; the same record gives the same bytes.

    html(run_report(record, title, pictures, ending))   # hemline.report.html and hemline.report.run
    html(morning_markdown(status, picture, address))    # hemline.report.morning

`run` is the report of a run and `card` a version's, `markdown` what single steps show, all of them made of `blocks`.
Pictures are in `curves`, `quality`, `tiles` and `parity`, drawn as `drawing` says, and in `nights`, made of `panel`s;
`gallery` makes those of a report.
Others import anything of it. A section is a function and a row of the table in `run_report` or `model_card`.
"""
