/** Tensors and the Device SPI. */
package dev.baton.tensor;
