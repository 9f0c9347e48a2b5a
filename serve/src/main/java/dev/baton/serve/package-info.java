/** The server: starts, stops and wires the endpoints of the dialect to an engine. */
package dev.baton.serve;
