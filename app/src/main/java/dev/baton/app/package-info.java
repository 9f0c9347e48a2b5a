/** Package. */
package dev.baton.app;
