/** From kernel source to machine code, with a cache on disk. */
@org.jspecify.annotations.NullMarked
package dev.baton.cuda.compile;
