/** Collectives between GPUs: NVIDIA's library behind the communicator interface. */
@org.jspecify.annotations.NullMarked
package dev.baton.cuda.nccl;
