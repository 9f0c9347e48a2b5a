/** Package. */
package dev.baton.lab;
