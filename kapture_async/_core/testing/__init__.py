"""What the emulators of both services share: the server, the ledger, the faults, the runners."""
