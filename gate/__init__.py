"""The kernel: result model, judge, policy, registry, runner and journal, and the checks of a release."""
