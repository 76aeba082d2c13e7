"""Search for the deployment that fits a budget, by measuring on the machine at hand.

Recipes, their costs, and the Pareto front; how a recipe is carried out is in `cliqa.compress`.
"""
