/** The endpoints around generation: health, information, control, profiling, metrics, tokens. */
package dev.baton.serve.control;
