"""The programme's day: its cycles played from the files of a folder, into an append-only ledger.

The steps, each documented in its module:

- `plan`: the cycles and their steps as data, and the options of a day (`day.toml`).
- `arrivals`: what each arrived file is: side, cycle, run; what is set aside, and why.
- `steps`: what each step makes of plain values: tables, files, records.
- `folder`: the only module that opens files: inputs, arrivals, what steps wrote.
- `play`: which steps are to be done, in order, and their records in the ledger.

A step first writes its directory, whole or not at all, and then its record in the ledger. It is
done once the record is committed. Everything is a function of the inputs' content, so a step that
was stopped between the two writes the same bytes again.
"""
