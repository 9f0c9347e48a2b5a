/** Speed of the forward path without scheduler and server. */
package dev.baton.bench.forward;
