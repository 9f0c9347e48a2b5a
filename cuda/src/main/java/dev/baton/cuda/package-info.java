/** The CUDA device: memory, operators, and the kernels behind them. */
@org.jspecify.annotations.NullMarked
package dev.baton.cuda;
