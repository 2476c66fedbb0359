"""All recipes by name."""

from .._lookup import look_up
from . import deep_l2, gd_10k, gd_20, keras_mlp, sgd_2epochs
from ._recipe import Recipe

RECIPES: dict[str, Recipe] = {
    module.RECIPE.name: module.RECIPE for module in (gd_10k, keras_mlp, deep_l2, gd_20, sgd_2epochs)
}
NAMES = tuple(RECIPES)


def get(name: str) -> Recipe:
    """The recipe of that name. Raises ValueError if there is none."""
    return look_up("recipe", name, RECIPES)
