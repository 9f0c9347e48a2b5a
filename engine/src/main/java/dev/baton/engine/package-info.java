/** Package. */
package dev.baton.engine;
