"""Binds every scenario below the folder of features to a test. Collected only when a target was given, see `features.plugin`."""

from __future__ import annotations

from pytest_bdd import scenarios

from features.plugin import folder_of_features

scenarios(str(folder_of_features()))
