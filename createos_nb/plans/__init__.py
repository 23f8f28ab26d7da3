"""Plans: every change, written down before it is made, applied once, journalled."""

from createos_nb.plans.assign import assign
from createos_nb.plans.deploy import deploy
from createos_nb.plans.domain import domain
from createos_nb.plans.plan import Call, Plan
from createos_nb.plans.result import Result, Step
from createos_nb.plans.rollback import rollback
from createos_nb.plans.scale import scale

__all__ = ["Call", "Plan", "Result", "Step", "assign", "deploy", "domain", "rollback", "scale"]
