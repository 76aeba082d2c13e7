"""What a program asks of its system: other Python processes, ports, signals, optional libraries.

Who starts Python, listens or waits for a signal takes it from here, so that one decision holds for
all of them. What runs there, and what comes in at a port, is the business of other rooms.
"""
