/** Admission of requests to the engine, the way of their outputs back to the clients, and {@code /generate}. */
package dev.baton.serve.generate;
