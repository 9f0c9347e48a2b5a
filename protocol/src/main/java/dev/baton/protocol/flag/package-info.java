/** The dialect's launch flags: one catalogue, one parser. */
package dev.baton.protocol.flag;
