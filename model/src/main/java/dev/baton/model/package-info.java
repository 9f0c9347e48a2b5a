/** Package. */
package dev.baton.model;
