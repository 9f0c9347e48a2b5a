/** What parallel layouts cost. */
package dev.baton.bench.parallel;
