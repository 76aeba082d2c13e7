"""Models made smaller and faster, and measured: profiles, conversion reports, backends.

Everything maps a network or a file to another one and knows no config and no run; what the tools do
with a run is in `cliqa.compress`.
"""
