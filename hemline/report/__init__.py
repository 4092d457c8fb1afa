"""What a person reads: Markdown, HTML and pictures, made of records; the same record gives the same bytes.

    html(markdown(record, title, pictures))             # hemline.report.html and hemline.report.markdown
    html(morning_markdown(status, picture, address))    # hemline.report.morning

Others import anything of it. A section of the report is a function and a row of the table in `markdown`.
"""
