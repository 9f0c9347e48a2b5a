/** The registry in which decode servers find the addresses of prefill ranks. */
package dev.baton.serve.bootstrap;
