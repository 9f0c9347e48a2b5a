/** Package. */
package dev.baton.trace;
