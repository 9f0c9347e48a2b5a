/** The CUDA driver: contexts, memory, streams, modules, launches, graphs. */
@org.jspecify.annotations.NullMarked
package dev.baton.cuda.driver;
