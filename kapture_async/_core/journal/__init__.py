"""The journal of a push: what was about to be sent, its outcome, and what is in doubt.

:mod:`.records` is its values and the rule of what may be sent. :mod:`.writer` writes it for an
event loop, :mod:`.reader` reads it, also while another process writes. Both stand on the protocol
in :mod:`.storage`; :mod:`.sqlite` keeps a journal in one file.
"""
