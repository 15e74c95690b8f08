import "./founding.ts";
import "./partitions.ts";
import "./restarts.ts";
import "./voters.ts";
