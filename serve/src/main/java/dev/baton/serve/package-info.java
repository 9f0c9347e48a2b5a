/** Package. */
package dev.baton.serve;
