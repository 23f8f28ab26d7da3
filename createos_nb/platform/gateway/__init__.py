"""Gateway: a process of its own that passes requests and websockets on to the applications, by their host.

Requests are parsed by a library's parser and written anew, never copied as bytes, so that two readers cannot see
two different requests. Targets come from `routes.Routes` alone, which the platform keeps up to date. It imports
little: what starts it often, and is at rest most of the time, is to be light.
"""
