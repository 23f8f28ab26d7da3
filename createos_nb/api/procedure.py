"""Procedure: several operations in a row, as one method in both colours."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, overload

from createos_nb.api.message import Exchange
from createos_nb.api.method import bound
from createos_nb.api.resource import AsyncResource, Resource

P = ParamSpec("P")
T = TypeVar("T")


class Procedure(Generic[P, T]):
    """Several operations in a row as one method of a resource, in both colours.

    The decorated function is a generator method that returns an exchange; its first argument is unused,
    since it names the operations through their class.
    """

    def __init__(self, function: Callable[Concatenate[Any, P], Exchange[T]]) -> None:
        self.function = function
        self.__doc__ = inspect.cleandoc(function.__doc__ or "")

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature without ``self``, returning what the exchange returns."""
        whole = inspect.signature(self.function, eval_str=True)
        (result,) = get_args(whole.return_annotation)[2:] or (whole.return_annotation,)
        return whole.replace(parameters=list(whole.parameters.values())[1:], return_annotation=result)

    @overload
    def __get__(self, resource: None, owner: type) -> Procedure[P, T]: ...
    @overload
    def __get__(self, resource: Resource, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, resource: AsyncResource, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, resource: Resource | AsyncResource | None, owner: type) -> Any:
        """Return the procedure itself, or the method that carries it out through a resource."""
        if resource is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return resource.run(self.function(resource, *args, **kwargs))

        return bound(self, method, resource)
