"""The tabs of the page: each module has a function ``NAME_tab`` that adds its components.

Larger tabs are put together from panels, which are functions of the same form.
"""
