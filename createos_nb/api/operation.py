"""Operation: one endpoint of CreateOS, declared once as a typed, documented function.

A declaration looks like a method and is never run, hence its body ``raise NotImplementedError``:

    class _Operations:
        @operation("GetDeployment", "GET", "/v1/projects/{project_id}/deployments/{deployment_id}")
        def get(self, project_id: str, deployment_id: str) -> Deployment:
            '''Return one deployment. …'''
            raise NotImplementedError

Everything else is a view of it: the blocking method (on a `Resource`), the awaiting one (on an
`AsyncResource`), the REST request, and on the embedded platform the route, the reading of arguments and
the writing of answers.

Where an argument travels: names in the path go there; of GET and DELETE the rest is the query, of other
methods the JSON body in camelCase. `Query` and `Multipart` mark the exceptions. A required argument is
always sent; an optional one only when it is not None.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from functools import cached_property, partial
from typing import (
    Any,
    Concatenate,
    Generic,
    Literal,
    ParamSpec,
    TypeVar,
    cast,
    overload,
)

from pydantic import BaseModel, Field, ValidationError, create_model

from createos_nb.api import path as paths
from createos_nb.api.answer import Answer, ColumnReader, Parts
from createos_nb.api.complaint import complaint
from createos_nb.api.docstring import documented
from createos_nb.api.exchange import call
from createos_nb.api.listing import Listing
from createos_nb.api.message import Exchange, Request, Response, Safety, Unshown
from createos_nb.api.method import bound
from createos_nb.api.paging import Found, pages
from createos_nb.api.parameter import Arguments, Misfit, Parameter, Received, fitted, offset_in, placed
from createos_nb.api.resource import AsyncResource, Resource
from createos_nb.api.secret import found
from createos_nb.api.wire import query_text, wire
from createos_nb.errors import BadRequest, InvalidArgument

P = ParamSpec("P")
T = TypeVar("T")

Before = Callable[[Mapping[str, Any]], Exchange[None]]
Check = Callable[[Mapping[str, Any]], Mapping[str, Any]]

OPERATIONS: dict[str, Operation[..., Any]] = {}
"""Every declaration by its operation id."""


class Operation(Generic[P, T]):
    """One declared endpoint; see the module's docstring.

    Attributes
    ----------
    name
        The operation id, as in the OpenAPI file.
    method, path
        HTTP verb and path template.
    tool
        Name of the MCP tool that does the same; None where there is none.
    safety
        What sending it twice would do: "read", "idempotent", "creates" or "destroys".
    paged
        True when it answers in pages.
    costs, status
        True when it spends money; HTTP status of its success.
    """

    def __init__(
        self,
        function: Callable[Concatenate[Any, P], T],
        *,
        name: str,
        method: str,
        path: str,
        tool: str | None,
        safety: Safety,
        paged: bool,
        costs: bool = False,
        status: int = 200,
        check: Check | None = None,
        before: Before | None = None,
    ) -> None:
        self.function = function
        self.name = name
        self.method = method
        self.path = path
        self.tool = tool
        self.safety = safety
        self.paged = paged
        self.costs = costs
        self.status = status
        self.check = check
        self.before = before
        self.__doc__ = documented(function, self)

    def __repr__(self) -> str:
        return f"<Operation {self.name}: {self.method} {self.path}>"

    # --- views for the client -------------------------------------------------------------------------

    def __set_name__(self, owner: type, attribute: str) -> None:
        self.attribute = attribute

    @overload
    def __get__(self, resource: None, owner: type) -> Operation[P, T]: ...
    @overload
    def __get__(self, resource: Resource, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, resource: AsyncResource, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, resource: Resource | AsyncResource | None, owner: type) -> Any:
        """Return the declaration itself, or the method that carries it out through a resource."""
        if resource is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            refusal: Exception | None = None
            try:
                exchange = self.exchange(*args, **kwargs)
            except (InvalidArgument, Misfit) as error:
                refusal = error.with_traceback(None)  # Arguments in clear stand in its frames, as in this one.
            del args, kwargs
            if refusal is not None:
                raise refusal
            return resource.run(exchange)

        return bound(self, method, resource)

    def exchange(self, *args: P.args, **kwargs: P.kwargs) -> Exchange[T]:
        """Return the exchange that calls this operation; bad arguments raise here, before any I/O."""
        values = self._validated(self._bind(*args, **kwargs), InvalidArgument)
        if self.before is not None:
            return self._after(self.before(values), self._request(values))
        if not self.paged:
            return self.calling(self._request(values))
        return cast(
            "Exchange[T]",
            self._pages(values, self.answer.page),
        )

    def parts(self, columns: ColumnReader, *args: P.args, **kwargs: P.kwargs) -> Exchange[Parts]:
        """Return the exchange that calls this operation and reads its list as columns, where that can be."""
        values = self._validated(self._bind(*args, **kwargs), InvalidArgument)
        read = partial(self.answer.parts, columns=columns, paged=self.paged)
        if self.paged:
            return Parts.of((yield from self._pages(values, read)))
        found = yield from call(self._request(values), read)
        return Parts.of(Listing(found.rows))

    def _pages(self, values: Mapping[str, Any], read: Callable[[Request, Response], Found[Any]]) -> Exchange[Any]:
        return pages(
            lambda limit, offset: self._request({**values, "page_size": limit, "offset": offset}),
            read,
            page_size=values["page_size"],
            max_rows=values["max_rows"],
        )

    def _after(self, before: Exchange[None], request: Request) -> Exchange[T]:
        yield from before
        return (yield from self.calling(request))

    def calling(self, request: Request) -> Exchange[T]:
        """Return the exchange that sends a request of this operation."""
        return call(request, self.answer.of)

    def request(self, *args: P.args, **kwargs: P.kwargs) -> Request:
        """Return the REST request for these arguments.

        Raises
        ------
        TypeError
            An argument is missing, misspelt or one too many.
        InvalidArgument
            A value is out of bounds; the message names the field, the value and what is allowed.
        """
        return self._request(self._validated(self._bind(*args, **kwargs), InvalidArgument))

    def _bind(self, *args: P.args, **kwargs: P.kwargs) -> Unshown:
        return fitted(self.name, self.signature, args, kwargs)

    def _request(self, values: Mapping[str, Any]) -> Request:
        path = paths.fill(self.path, values)
        sent = {
            place: Unshown(
                (item.wire, values[item.name])
                for item in self.parameters
                if item.place == place
                and (item.default is inspect.Parameter.empty or values[item.name] is not None)
            )
            for place in ("query", "body", "file")
        }
        query = Unshown((name, query_text(value)) for name, value in sent["query"].items())
        arguments = Unshown(
            (item.name, wire(values[item.name]))
            for item in self.parameters
            if item.place == "path" or (item.place == "query" and item.wire in query)
        )
        if self.paged:
            window = {"limit": values["page_size"], "offset": values.get("offset", 0)}
            query |= {name: str(number) for name, number in window.items()}
            arguments |= window
        body = None
        if self._has("body"):
            body = Unshown((name, wire(value, leave_out_none=True)) for name, value in sent["body"].items())
            arguments["body"] = body
        return Request(
            operation=self.name,
            method=self.method,
            template=self.path,
            path=path,
            safety=self.safety,
            query=query,
            body=body,
            file=next(iter(sent["file"].values()), None),
            secrets=tuple(secret for _, secret in found(values)),
            costs=self.costs,
            tool=self.tool,
            arguments=arguments,
        )

    # --- views for the platform -----------------------------------------------------------------------

    @property
    def takes(self) -> Literal["json", "multipart"] | None:
        """What kind of body it takes; None for none."""
        return "multipart" if self._has("file") else "json" if self._has("body") else None

    def receive(self, path: Mapping[str, str], query: Mapping[str, str], body: Any) -> Received:
        """Read what a client sent as this declaration's arguments.

        Parameters
        ----------
        path
            The path's values by name, unquoted.
        query
            The query's values by name.
        body
            The decoded JSON object, or the uploaded bytes of a multipart operation; None when there is none.

        Returns
        -------
        Received
            Validated values by the declaration's parameter names; of a paged operation ``limit`` and
            ``offset`` in place of ``page_size`` and ``max_rows``.

        Raises
        ------
        BadRequest
            A value is missing or out of bounds.
        """
        if self._has("body") and not isinstance(body, dict):
            raise BadRequest.answer("The body must be a JSON object.")
        places: dict[str, Mapping[str, Any]] = {"path": path, "query": query, "body": body if body else {}}
        values = {
            item.name: places[item.place][item.wire]
            for item in self.parameters
            if item.place in places and item.wire in places[item.place]
        }
        if isinstance(body, dict):
            spare = {
                item.name: body[item.wire] for item in self.parameters if item.or_in_body and item.wire in body
            }
            values = {**spare, **values}
        if self._has("file"):
            values |= {item.name: body for item in self.parameters if item.place == "file" and body is not None}
        if self.paged and "limit" in query:
            values["page_size"] = query["limit"]
        received = Received(self._validated(values, BadRequest.answer), sent=values)
        if self.paged:
            received.pop("max_rows")
            page_size = received.pop("page_size")
            received["limit"] = page_size if "limit" in query else 10
            received["offset"] = offset_in(query.get("offset", "0"))
        return received

    # --- read from the declaration, at first use ------------------------------------------------------

    @cached_property
    def signature(self) -> inspect.Signature:
        """The declared signature without ``self``, annotations evaluated."""
        whole = inspect.signature(self.function, eval_str=True)
        return whole.replace(parameters=list(whole.parameters.values())[1:])

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Where each argument travels, in the declared order."""
        return tuple(
            placed(parameter, method=self.method, path=self.path, paged=self.paged)
            for parameter in self.signature.parameters.values()
        )

    def _has(self, place: str) -> bool:
        return any(item.place == place for item in self.parameters)

    @cached_property
    def arguments_model(self) -> type[BaseModel]:
        """A model of the declared parameters, with their bounds."""
        fields: dict[str, Any] = {
            item.name: (item.annotation, Field(... if item.default is inspect.Parameter.empty else item.default))
            for item in self.parameters
        }
        return create_model(f"{self.name}Arguments", __base__=Arguments, **fields)

    def _validated(self, values: Mapping[str, Any], error_class: Callable[[str], Exception]) -> dict[str, Any]:
        try:
            if self.check is not None:
                values = self.check(values)
            model = self.arguments_model.model_validate(values)
        except ValidationError as error:
            wire = () if error_class is InvalidArgument else self.parameters
            raise error_class(complaint(self.name, self.arguments_model, error, wire)) from None
        except ValueError as error:
            raise error_class(f"{self.name}: {error}") from None
        found_values = Unshown((item.name, getattr(model, item.name)) for item in self.parameters)
        if mask := next((place for place, secret in found(found_values) if secret.is_mask), ""):
            raise error_class(
                f"{self.name}: {mask} is refused: it is what is shown of a secret, not the secret. "
                "Read it from the platform again, or give its text."
            )
        return found_values

    @cached_property
    def answer(self) -> Answer:
        """How what it answers is read."""
        return Answer(self.signature.return_annotation)


def operation(
    name: str,
    method: str,
    path: str,
    *,
    safety: Safety | None = None,
    tool: str | None = "",
    paged: bool = False,
    costs: bool = False,
    status: int = 200,
    check: Check | None = None,
    before: Before | None = None,
) -> Callable[[Callable[Concatenate[Any, P], T]], Operation[P, T]]:
    """Declare an endpoint; see the module's docstring.

    Parameters
    ----------
    name
        The operation id of the OpenAPI file.
    method, path
        HTTP verb and path template.
    safety
        What sending it twice would do; only a GET may leave it out ("read").
    tool
        Name of the MCP tool when it differs from ``name``; None when there is none.
    paged
        It answers ``{data, pagination}`` and takes ``page_size`` and ``max_rows``.
    costs, status
        It spends money; HTTP status of its success.
    check
        Looks at arguments together before each is looked at by itself; returns them, or raises ValueError with
        the end of a sentence.
    before
        What to read before it is sent, where only that tells whether the arguments fit; raises `InvalidArgument`.
    """
    if safety is None and method != "GET":
        raise TypeError(f"{name}: say what sending it twice would do, with safety=.")

    def declare(function: Callable[Concatenate[Any, P], T]) -> Operation[P, T]:
        declared = Operation(
            function,
            name=name,
            method=method,
            path=path,
            tool=name if tool == "" else tool,
            safety=safety or "read",
            paged=paged,
            costs=costs,
            status=status,
            check=check,
            before=before,
        )
        if name in OPERATIONS:
            raise TypeError(f"{name} is declared twice.")
        OPERATIONS[name] = declared
        return declared

    return declare
