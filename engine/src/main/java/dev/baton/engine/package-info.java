/** The engine as others use it. */
package dev.baton.engine;
