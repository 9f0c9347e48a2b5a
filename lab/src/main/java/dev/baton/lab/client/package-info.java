/**
 * The benchmark client: load generation over many concurrent streams, the formulas, table and record of SGLang's
 * {@code bench_serving} and {@code bench_one_batch_server}.
 */
@NullMarked
package dev.baton.lab.client;

import org.jspecify.annotations.NullMarked;
