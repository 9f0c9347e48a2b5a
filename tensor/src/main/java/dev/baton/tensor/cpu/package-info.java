/** The CPU device: Vector API kernels and their scalar twins. */
package dev.baton.tensor.cpu;
