"""What belongs to the tests of the documentation without being one."""

collect_ignore = ["services"]  # stand-ins for libraries, found by their names alone
