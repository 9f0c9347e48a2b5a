/**
 * What runs in the next step. The scheduler is a simulation on plain data: its state always says what will be true once
 * every launched step has run, except for the sampled ids, which arrive with the results. Steps run in the order in
 * which they were launched, so a slot or row may be given away as soon as no later plan needs it.
 */
@NullMarked
package dev.baton.engine.schedule;

import org.jspecify.annotations.NullMarked;
