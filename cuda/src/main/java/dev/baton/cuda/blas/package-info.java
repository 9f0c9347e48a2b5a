/** Dense matrix products by cuBLASLt. */
@org.jspecify.annotations.NullMarked
package dev.baton.cuda.blas;
