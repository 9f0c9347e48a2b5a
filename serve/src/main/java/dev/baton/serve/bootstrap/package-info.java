/** Where decode servers learn the addresses of prefill ranks: the registry's HTTP server and its client. */
package dev.baton.serve.bootstrap;
