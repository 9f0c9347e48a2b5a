/** Recording: operators, collectives and steps of every rank as spans, and the profiles that write them. */
package dev.baton.engine.record;
