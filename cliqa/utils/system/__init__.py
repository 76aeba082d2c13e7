"""What a program asks the operating system for: other Python processes, and ports to listen at.

Who starts Python or listens takes it from here, so that one decision holds for all of them. What
runs there, and what comes in at a port, is the business of other rooms.
"""
