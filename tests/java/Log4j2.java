/*
 * Writes numbered lines through the appenders of a log4j2.xml.
 *
 * Arguments: the configuration, how many lines, and after how many of them it rests for a millisecond. Each line of the standard input
 * is a number of lines up to which it may write, so that whoever reads the log decides how far behind it is.
 */
import java.io.BufferedReader;
import java.io.InputStreamReader;

import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.Logger;
import org.apache.logging.log4j.core.config.Configurator;

public class Log4j2 {
    public static void main(String[] arguments) throws Exception {
        Configurator.initialize(null, arguments[0]);
        Logger logger = LogManager.getLogger("org.apache.hadoop.hdfs.server.datanode.DataNode");
        BufferedReader limits = new BufferedReader(new InputStreamReader(System.in));
        int lines = Integer.parseInt(arguments[1]);
        int linesPerMilli = Integer.parseInt(arguments[2]);
        int limit = 0;
        for (int number = 0; number < lines; number++) {
            while (number >= limit) {
                limit = Integer.parseInt(limits.readLine());
            }
            logger.info(String.format("record %06d", number));
            if (number % linesPerMilli == 0) {
                Thread.sleep(1);
            }
        }
        LogManager.shutdown();
    }
}
