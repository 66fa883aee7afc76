"""The journal of a push: what was about to be sent, its outcome, and what is in doubt.

:mod:`.records` has its values and the rule of what may be sent. :mod:`.writer` is a journal open
for writing by an event loop, and :mod:`.thread` the thread that does it: :mod:`.decisions` decides
about rows, over :mod:`.pending` and :mod:`.run_state`. :mod:`.reader` reads a journal, also while
another process writes. All stand on the protocol in :mod:`.storage`; :mod:`.sqlite` stores a
journal in a file, :mod:`.postgres` in a database, and :mod:`.address` chooses between them.
"""
