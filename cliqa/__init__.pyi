from cliqa.api.evaluation import evaluate as evaluate
from cliqa.api.models import load as load
from cliqa.api.plugins import plugin as plugin
from cliqa.api.results import results as results
from cliqa.api.runs import train as train

__all__: list[str]
__version__: str
