import "./founding.ts";
import "./partitions.ts";
import "./recover.ts";
import "./restarts.ts";
import "./streams.ts";
import "./voters.ts";
