/** What the front end costs: CPU a streamed token, CPU a request, memory of idle streams. */
package dev.baton.bench.serve;
