/** What is sent: seeded prompts of the benchmark's data sets, and when each is sent. */
@NullMarked
package dev.baton.lab.workload;

import org.jspecify.annotations.NullMarked;
